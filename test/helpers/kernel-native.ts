/** The addon with some calls replaced, for what a kernel does only now and then. */
import { type Native, native } from '../../src/kernel/native.ts';

export function nativeWith(replaced: Partial<Native>): Native {
  return { ...native(), ...replaced };
}

const SO_RCVBUF = 8;

/** Says that receive buffers are large, whatever they are: answers then overflow those that are not. */
export function boastful(): Native {
  return nativeWith({
    getOption(fd, level, name, bytes) {
      const length = native().getOption(fd, level, name, bytes);
      if (name === SO_RCVBUF) new DataView(bytes.buffer).setUint32(0, 1024 * 1024, true);
      return length;
    },
  });
}

/** Fails with this errno, once, after so many datagrams. */
export function failingReceive(after: number, errno: number): Native {
  let left = after;
  return nativeWith({
    receive(fd, bytes) {
      if (left-- === 0) return -errno;
      return native().receive(fd, bytes);
    },
  });
}
