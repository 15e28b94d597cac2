/** ipvsadm(8), the other program that speaks to the same table. */
import type { TestNamespace } from './namespace.ts';

/** Runs it in the namespace; returns what it prints, without trailing blanks and empty lines. */
export function ipvsadm(namespace: TestNamespace, ...args: readonly string[]): string[] {
  return lines(namespace.run('ipvsadm', args));
}

/** `ipvsadm --restore` */
export function restore(namespace: TestNamespace, rules: readonly string[]): void {
  namespace.run('ipvsadm', ['--restore'], { input: `${rules.join('\n')}\n` });
}

/** The table as ipvsadm lists it, without the heading. */
export function listing(namespace: TestNamespace, ...options: readonly string[]): string[] {
  const all = ipvsadm(namespace, '--list', '--numeric', ...options);
  return all.slice(all.findIndex((line) => line.includes('RemoteAddress:Port')) + 1);
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}
