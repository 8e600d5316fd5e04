/**
 * The probes' address on one network: which connection a packet belongs to, and how one is sent. What belongs to none is
 * reset (RFC 9293 section 3.10.7.1), so that a server keeps nothing of a gateway that was killed.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { probeSource } from '../../service/load-balancer.js';
import { formatAddress } from '../../wire/address.js';
import { pseudoHeader, sum } from '../../wire/checksum.js';
import * as ipv4 from '../../wire/ipv4.js';
import { set16, set32 } from '../../wire/octets.js';
import { add } from '../../wire/seq.js';
import * as tcp from '../../wire/tcp.js';
import type { Clock } from './clock.js';
import { TcpConnection, type TcpEvents } from './tcp-connection.js';

/** Where probes come from; int32. */
export const PROBE_ADDRESS = probeSource | 0;
export const PROBE_ROUTE = `${formatAddress(probeSource)}/32`;

/** RFC 6335: dynamic ports. */
const FIRST_PORT = 49152;
const PORTS = 16384;
const MAX_PACKET = 1500;
const HEADERS = ipv4.MIN_HEADER + tcp.MIN_HEADER;
const MSS_OPTION = 4;
const TTL = 64;

export class TcpStack {
  private readonly clock: Clock;
  private readonly transmit: (packet: Buffer) => void;
  private readonly mss: number;
  private readonly packet: Buffer;
  /** By our port. */
  private readonly connections = new Map<number, { peer: number; peerPort: number; tcp: TcpConnection }>();
  private nextPort = randomInt(PORTS);

  /**
   * @param mtu octets of the longest packet
   * @param transmit sends a packet; the octets are good for the call only
   */
  constructor(clock: Clock, mtu: number, transmit: (packet: Buffer) => void) {
    this.clock = clock;
    this.transmit = transmit;
    this.packet = Buffer.alloc(Math.min(mtu, MAX_PACKET));
    this.mss = this.packet.length - HEADERS;
  }

  /** Live connections. */
  get count(): number {
    return this.connections.size;
  }

  /**
   * Opens a connection from the probes' address.
   * @param peer int32
   */
  connect(peer: number, peerPort: number, events: TcpEvents): TcpConnection {
    const port = this.freePort();
    const connection = new TcpConnection(
      this.clock,
      { iss: randomBytes(4).readInt32BE(), mss: this.mss },
      (flags, seq, ack, window, mss, payload) => this.emit(port, peer, peerPort, flags, seq, ack, window, mss, payload),
      events,
    );
    this.connections.set(port, { peer, peerPort, tcp: connection });
    connection.open();
    return connection;
  }

  /**
   * A packet to the probes' address.
   * @param partial its TCP checksum field holds the pseudo-header sum only
   * @returns false if it is none that this could take
   */
  receive(b: Buffer, ip: number, at: number, partial: boolean): boolean {
    if (ipv4.check(b, ip, at, 0) !== ipv4.OK || ipv4.protocol(b, ip) !== ipv4.PROTOCOL_TCP) return false;
    if ((ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0) return false;
    const l4 = ip + ipv4.headerLength(b, ip);
    const end = Math.min(at, ip + ipv4.packetLength(b, ip, at - ip));
    if (!tcp.check(b, l4, end, end - l4)) return false;
    const peer = ipv4.source(b, ip);
    const initial = pseudoHeader(peer, ipv4.destination(b, ip), ipv4.PROTOCOL_TCP, end - l4);
    if (!partial && sum(b, l4, end, initial) !== 0xffff) return false;
    const port = tcp.destinationPort(b, l4);
    const found = this.connections.get(port);
    if (found !== undefined && found.peer === peer && found.peerPort === tcp.sourcePort(b, l4)) {
      found.tcp.receive(b, l4, end);
      if (found.tcp.state === 'closed') this.connections.delete(port);
    } else {
      this.refuse(b, l4, end, peer);
    }
    return true;
  }

  /** A connection that its opener has aborted is forgotten. */
  forget(connection: TcpConnection): void {
    for (const [port, each] of this.connections) if (each.tcp === connection) this.connections.delete(port);
  }

  /** Resets all connections. */
  close(): void {
    for (const each of this.connections.values()) each.tcp.abort();
    this.connections.clear();
  }

  private freePort(): number {
    do this.nextPort = (this.nextPort + 1) % PORTS;
    while (this.connections.has(FIRST_PORT + this.nextPort));
    return FIRST_PORT + this.nextPort;
  }

  private refuse(b: Buffer, l4: number, end: number, peer: number): void {
    const flags = tcp.flags(b, l4);
    if ((flags & tcp.RST) !== 0) return;
    const [port, peerPort] = [tcp.destinationPort(b, l4), tcp.sourcePort(b, l4)];
    if ((flags & tcp.ACK) !== 0) {
      this.emit(port, peer, peerPort, tcp.RST, tcp.acknowledgment(b, l4), 0, 0, 0, null);
      return;
    }
    const length = end - l4 - tcp.headerLength(b, l4) + ((flags & (tcp.SYN | tcp.FIN)) === 0 ? 0 : 1);
    this.emit(port, peer, peerPort, tcp.RST | tcp.ACK, 0, add(tcp.sequence(b, l4), length), 0, 0, null);
  }

  private emit(
    port: number,
    peer: number,
    peerPort: number,
    flags: number,
    seq: number,
    ack: number,
    window: number,
    mss: number,
    payload: Buffer | null,
  ): void {
    const b = this.packet;
    const l4 = ipv4.MIN_HEADER;
    const header = tcp.MIN_HEADER + (mss === 0 ? 0 : MSS_OPTION);
    const end = l4 + header + (payload?.length ?? 0);
    b.fill(0, 0, l4 + header);
    b[0] = 0x45;
    ipv4.setTotalLength(b, 0, end);
    ipv4.setFlagsAndOffset(b, 0, ipv4.DONT_FRAGMENT);
    ipv4.setTtl(b, 0, TTL);
    b[9] = ipv4.PROTOCOL_TCP;
    ipv4.setSource(b, 0, PROBE_ADDRESS);
    ipv4.setDestination(b, 0, peer);
    ipv4.setChecksum(b, 0, sum(b, 0, l4) ^ 0xffff);
    set32(b, l4, (port << 16) | peerPort);
    tcp.setSequence(b, l4, seq);
    tcp.setAcknowledgment(b, l4, ack);
    tcp.setHeaderLength(b, l4, header);
    tcp.setFlags(b, l4, flags);
    tcp.setWindow(b, l4, window);
    if (mss !== 0) {
      b[l4 + tcp.MIN_HEADER] = tcp.OPTION_MSS;
      b[l4 + tcp.MIN_HEADER + 1] = MSS_OPTION;
      set16(b, l4 + tcp.MIN_HEADER + 2, mss);
    }
    payload?.copy(b, l4 + header);
    const initial = pseudoHeader(PROBE_ADDRESS, peer, ipv4.PROTOCOL_TCP, end - l4);
    tcp.setChecksum(b, l4, sum(b, l4, end, initial) ^ 0xffff);
    this.transmit(b.subarray(0, end));
  }
}
