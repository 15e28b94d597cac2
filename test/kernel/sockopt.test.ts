import { afterAll, beforeAll, expect, test } from 'vitest';
import { namespacePath } from '../../src/kernel/namespace.ts';
import { native } from '../../src/kernel/native.ts';
import { getOption, setOption, versionField } from '../../src/sockopt/options.ts';
import { OptionSocket } from '../../src/sockopt/socket.ts';
import { makeNamespace, type TestNamespace } from '../helpers/namespace.ts';

const EINVAL = 22;

let namespace: TestNamespace;
let socket: OptionSocket;
beforeAll(() => {
  namespace = makeNamespace('sockopt');
  socket = OptionSocket.open(native(), namespacePath(namespace.name));
});
afterAll(() => {
  socket.close();
  namespace.remove();
});

test('getsockopt reads the version as text', () => {
  const bytes = new Uint8Array(versionField.sizeBytes);
  const length = socket.get(getOption.VERSION, bytes);
  expect(new TextDecoder().decode(bytes.subarray(0, length - 1))).toMatch(/^IP Virtual Server version \d+\.\d+\.\d+ /);
});

test('getsockopt counts the services of the namespace that the socket was opened in', () => {
  namespace.run('ipvsadm', ['-A', '-t', '192.0.2.1:80']);
  const bytes = new Uint8Array(12);
  expect(socket.get(getOption.INFO, bytes)).toBe(12);
  expect(new DataView(bytes.buffer).getUint32(8, true)).toBe(1);
});

test('setsockopt flushes the table', () => {
  expect(socket.set(setOption.FLUSH, new Uint8Array(0))).toBe(0);
  expect(namespace.run('ipvsadm', ['-Sn'])).toBe('');
});

test('the kernel refuses a struct of another length', () => {
  expect(socket.set(setOption.ADD, new Uint8Array(43))).toBe(-EINVAL);
});
