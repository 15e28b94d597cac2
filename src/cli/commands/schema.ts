/** `ipvs schema`: for editors that complete and check YAML. */
import { stateSchema } from '../../director/document.ts';
import { command } from '../command.ts';
import { EXIT } from '../exit.ts';
import { printJson } from '../output.ts';

const spec = command({
  description: 'Prints the JSON Schema of the files that "ipvs apply" reads.',
  examples: [{ line: 'ipvs schema > ipvs.schema.json' }],
  async run() {
    printJson(stateSchema());
    return EXIT.done;
  },
});

export { spec as command };
