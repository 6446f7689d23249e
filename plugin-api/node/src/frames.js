// The frames between the hub and this process: a header of 16 bytes (length, kind, flags, code,
// number; little-endian) and a body. See `docs/plugins/frames.md` of the hub.

export const KIND = {
  hello: 1,
  welcome: 2,
  op: 3,
  complete: 4,
  cancel: 5,
  emit: 6,
  credit: 7,
  log: 8,
  ping: 9,
  pong: 10,
  shutdown: 11,
  goodbye: 12,
};

const HEADER_LEN = 16;
export const BODY_MAX = 16 << 20;

// Operation numbers have 64 bits, so they are `bigint`.
export function encode(kind, { code = 0, number = 0n, body = "" } = {}) {
  const length = Buffer.byteLength(body);
  if (length > BODY_MAX) {
    throw new RangeError(`cannot send ${length} bytes at once: at most ${BODY_MAX}`);
  }
  const frame = Buffer.allocUnsafe(HEADER_LEN + length);
  frame.writeUInt32LE(length, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt8(0, 5);
  frame.writeUInt16LE(code, 6);
  frame.writeBigUInt64LE(number, 8);
  if (typeof body === "string") frame.write(body, HEADER_LEN);
  else frame.set(body, HEADER_LEN);
  return frame;
}

// Bytes in, frames out.
export class Decoder {
  #chunks = [];
  #length = 0;
  #wanted = HEADER_LEN;

  // The frames that are whole with this chunk; throws at the first that is none.
  *take(chunk) {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#wanted) return;
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#wanted = HEADER_LEN;
    while (rest.length >= HEADER_LEN) {
      const length = rest.readUInt32LE(0);
      const kind = rest.readUInt8(4);
      const flags = rest.readUInt8(5);
      if (length > BODY_MAX) {
        throw new RangeError(`a frame of ${length} bytes: at most ${BODY_MAX}`);
      }
      if (flags !== 0 || kind < KIND.hello || kind > KIND.goodbye) {
        throw new RangeError(`a frame of kind ${kind} with flags ${flags}`);
      }
      if (rest.length < HEADER_LEN + length) {
        this.#wanted = HEADER_LEN + length;
        break;
      }
      const body = rest.subarray(HEADER_LEN, HEADER_LEN + length);
      yield { kind, code: rest.readUInt16LE(6), number: rest.readBigUInt64LE(8), body };
      rest = rest.subarray(HEADER_LEN + length);
    }
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#length = rest.length;
  }
}
