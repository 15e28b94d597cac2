/** `ipvs schema`: for editors that complete and check YAML. */
import { stateSchema } from '../../state/document.ts';
import { command } from '../spec/command.ts';
import { EXIT } from '../terminal/exit.ts';
import { printJson } from '../words/output.ts';

const spec = command({
  description: 'Prints the JSON Schema of the files that "ipvs apply" reads.',
  examples: [{ line: 'ipvs schema > ipvs.schema.json' }],
  async run() {
    printJson(stateSchema());
    return EXIT.done;
  },
});

export { spec as command };
