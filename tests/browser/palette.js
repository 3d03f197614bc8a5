// Encoder of screenshots as PNG with a palette of 256 colours, which has half the bytes of a
// screenshot in full colour and the same sharp text.

import { deflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Encodes a PNG again. `page` is any page of the browser, which decodes it. */
export async function withPalette(page, png) {
  const { width, height, palette, rows } = await page.evaluate(quantised, png.toString("base64"));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3], 8); // 8 bits a pixel, by palette
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(palette)),
    chunk("IDAT", deflateSync(Buffer.from(rows, "base64"), { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Runs in the page: replaces each colour by the nearest of the 256 most frequent ones. Each row of
 * the result begins with its filter type, 0. */
async function quantised(png) {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, width, height);
  const colourAt = (pixel) => data[4 * pixel] << 16 | data[4 * pixel + 1] << 8 | data[4 * pixel + 2];
  const counts = new Map();
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    counts.set(colourAt(pixel), (counts.get(colourAt(pixel)) ?? 0) + 1);
  }
  const split = (colour) => [colour >> 16, colour >> 8 & 255, colour & 255];
  const frequent = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => split(colour));
  const distance = (a, b) => a.reduce((sum, part, index) => sum + (part - b[index]) ** 2, 0);
  const nearest = (colour) => frequent.reduce(
    (best, other, index) => distance(colour, other) < distance(colour, frequent[best]) ? index : best,
    0,
  );
  const indexes = new Map([...counts.keys()].map((colour) => [colour, nearest(split(colour))]));
  let rows = "";
  for (let y = 0; y < height; y += 1) {
    rows += "\0";
    for (let x = 0; x < width; x += 1) rows += String.fromCharCode(indexes.get(colourAt(y * width + x)));
  }
  return { width, height, palette: frequent.flat(), rows: btoa(rows) };
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? crc >>> 1 ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
