/** `ipvs completion` */
import yargs from 'yargs';
import { command } from '../spec/command.ts';
import type { GlobalOptions } from '../spec/global-options.ts';
import { EXIT, UsageError } from '../terminal/exit.ts';

const spec = command<GlobalOptions & { readonly shell?: string }>({
  description:
    'Prints a completion script. For bash: "ipvs completion bash > /etc/bash_completion.d/ipvs"; for zsh: "ipvs completion zsh > _ipvs" in a folder of $fpath.',
  arguments: { shell: 'bash or zsh. Default: that of $SHELL' },
  examples: [{ line: 'ipvs completion bash' }],
  async run({ shell }) {
    if (shell !== undefined && shell !== 'bash' && shell !== 'zsh')
      throw new UsageError('there are completions for bash and zsh');
    // yargs looks there for the shell.
    if (shell !== undefined) process.env['SHELL'] = shell;
    yargs([]).scriptName('ipvs').showCompletionScript();
    return EXIT.done;
  },
});

export { spec as command };
