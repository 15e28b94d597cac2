/** What the kernel's refusals mean. The order of its checks is that of ip_vs_ctl.c, the same for both of its interfaces. */
import { errno, IpvsError } from '../base/errors.ts';
import { parseDestinationAddress, parseServiceAddress } from '../net/address.ts';
import type { Acknowledgement } from '../netlink/message.ts';
import { moduleHint } from './features.ts';
import type { Operation } from './operation.ts';

/** `lacks` asks whether the kernel lacks a scheduler; undefined where that cannot be found out. */
export function refusalOf(
  operation: Operation,
  answer: Acknowledgement,
  lacks: (scheduler: string) => boolean | undefined,
): IpvsError {
  const code = answer.errno;
  switch (operation.type) {
    case 'service.add':
    case 'service.edit': {
      if (code === errno.EEXIST) return new IpvsError('SERVICE_EXISTS', { errno: code });
      if (code !== errno.ENOENT) break;
      const { scheduler, persistence } = operation.service;
      const engine = persistence?.engine;
      if (engine && lacks(scheduler) === false) {
        const hint = moduleHint('engine', engine);
        return new IpvsError('ENGINE_NOT_FOUND', { detail: `"${engine}"`, errno: code, hint });
      }
      const hint = moduleHint('scheduler', scheduler);
      return new IpvsError('SCHEDULER_NOT_FOUND', { detail: `"${scheduler}"`, errno: code, hint });
    }
    case 'destination.add':
    case 'destination.edit': {
      if (code === errno.EEXIST) return new IpvsError('DESTINATION_EXISTS', { errno: code });
      if (code === errno.ENOENT) return new IpvsError('DESTINATION_NOT_FOUND', { errno: code });
      if (code !== errno.EINVAL) break;
      // What else EINVAL could mean was checked at the door.
      const { address } = operation.destination;
      if (isMixed(operation.service, address)) return new IpvsError('SYNC_MIXED', { errno: code });
      if (operation.type === 'destination.add') return new IpvsError('ADDRESS_NOT_USABLE', { errno: code });
      break;
    }
    case 'destination.delete':
      if (code === errno.ENOENT) return new IpvsError('DESTINATION_NOT_FOUND', { errno: code });
      break;
    case 'sync.start': {
      if (code === errno.EEXIST) return new IpvsError('SYNC_EXISTS', { errno: code });
      if (code === errno.ENODEV)
        return new IpvsError('INTERFACE_NOT_FOUND', { detail: `"${operation.daemon.interface}"`, errno: code });
      if (code === errno.EINVAL) return new IpvsError('SYNC_MIXED', { errno: code });
      break;
    }
    case 'sync.stop':
      if (code === errno.ESRCH) return new IpvsError('SYNC_NOT_FOUND', { errno: code });
      break;
    case 'service.delete':
    case 'flush':
    case 'zero':
    case 'timeouts.set':
      break;
  }
  return refusal(answer);
}

/** What an errno means whatever was asked. */
export function refusal({ errno: code, text }: Acknowledgement): IpvsError {
  const detail = text === undefined ? {} : { detail: text };
  if (code === errno.EPERM) return new IpvsError('PERMISSION_DENIED', { errno: code });
  if (code === errno.ESRCH) return new IpvsError('SERVICE_NOT_FOUND', { errno: code });
  if (code === errno.EAFNOSUPPORT) return new IpvsError('FAMILY_NOT_SUPPORTED', { errno: code, ...detail });
  return new IpvsError('KERNEL_REFUSED', { errno: code, ...detail });
}

function isMixed(service: string, destination: string): boolean {
  return parseServiceAddress(service).family !== parseDestinationAddress(destination).family;
}
