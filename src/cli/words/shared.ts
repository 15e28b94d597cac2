/** What several commands say of the same thing. */
export const SERVICE = 'tcp://192.0.2.1:80, udp://[2001:db8::1]:53, sctp://…, fwmark:5, fwmark:5/inet6';
export const DESTINATION = "10.0.0.11:8080, [2001:db8::11]:80; the port is the service's by default";
export const ENTRY = 'the number of an entry, as "ipvs history" lists it';
