// The table that every measured program makes or reads (bench/limit.c makes the same).

/** @typedef {{ services: number, destinations: number }} Size destinations: of each service */

/** @param {number} i */
export function serviceOf(i) {
  return {
    address: `tcp://10.1.${i >> 8}.${i & 255}:80`,
    scheduler: 'rr',
    schedulerFlags: [],
    persistence: null,
    onePacket: false,
  };
}

/** @param {number} i counted over all services */
export function destinationOf(i) {
  const address = `10.${128 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}:80`;
  return { address, forward: /** @type {const} */ ('masquerade'), weight: 1, upperThreshold: 0, lowerThreshold: 0 };
}

/**
 * What `ipvsadm -R` reads.
 * @param {Size} size
 */
export function rulesOf({ services, destinations }) {
  const lines = [];
  for (let i = 0; i < services; i++) {
    const service = serviceOf(i).address.slice('tcp://'.length);
    lines.push(`-A -t ${service} -s rr`);
    for (let j = 0; j < destinations; j++) {
      lines.push(`-a -t ${service} -r ${destinationOf(i * destinations + j).address} -m -w 1`);
    }
  }
  return `${lines.join('\n')}\n`;
}
