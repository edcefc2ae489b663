// How many SMS parts a text needs: the same rules as channels/segment.py, and the same results (a
// browser test compares the two).
//   GSM-7: 160 septets alone, 153 in each of several; some characters cost two and are not split.
//   UCS-2: 70 code units alone, 67 in each of several; a surrogate pair is not split.

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
  "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENDED = new Set("\f^{}\\[~]|€");

export function count(text) {
  const characters = [...text];
  const narrow = characters.every((one) => BASIC.has(one) || EXTENDED.has(one));
  const costs = characters.map((one) => (narrow ? (EXTENDED.has(one) ? 2 : 1) : one.length));
  const units = costs.reduce((sum, cost) => sum + cost, 0);
  const [alone, each] = narrow ? [160, 153] : [70, 67];
  return { characters: characters.length, units, parts: units <= alone ? 1 : pack(costs, each) };
}

function pack(costs, capacity) {
  let parts = 1;
  let left = capacity;
  for (const cost of costs) {
    if (cost > left) {
      parts += 1;
      left = capacity;
    }
    left -= cost;
  }
  return parts;
}
