// What `bench.js` sends to and fro: an order of 726 bytes.

export const PAYLOAD = {
  order: "o-4711",
  customer: { id: 7, name: "Anna" },
  lines: Array(8).fill("x".repeat(80)),
};
