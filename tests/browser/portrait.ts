/** Draws a person who nods and talks, as a video file that Chromium takes for its camera: kinder to look at than a test card. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const WIDTH = 960;
const HEIGHT = 540;
const FPS = 20;
const FRAMES = 40;

type Colour = readonly [number, number, number];

/** What a person looks like. */
export interface Looks {
  readonly wall: Colour;
  readonly shelf: Colour;
  readonly shirt: Colour;
  readonly skin: Colour;
  readonly hair: Colour;
  /** 1 for long hair. */
  readonly length: number;
}

export const ANN: Looks = { wall: [226, 214, 198], shelf: [176, 141, 106], shirt: [33, 108, 102], skin: [232, 184, 152], hair: [74, 44, 30], length: 1 };
export const BEN: Looks = { wall: [196, 210, 222], shelf: [116, 134, 152], shirt: [168, 74, 38], skin: [150, 100, 72], hair: [28, 24, 24], length: 0 };

/** Two seconds of the person, drawn once. */
export function portrait(path: string, looks: Looks): string {
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const parts: Buffer[] = [Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FPS}:1 Ip A1:1 C420mpeg2\n`)];
  for (let frame = 0; frame < FRAMES; frame++) parts.push(Buffer.from('FRAME\n'), picture(looks, (2 * Math.PI * frame) / FRAMES));
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

/** One frame as planar YUV 4:2:0; `phase` runs once round. */
function picture(looks: Looks, phase: number): Buffer {
  const luma = WIDTH * HEIGHT;
  const yuv: Buffer = Buffer.alloc((luma * 3) / 2);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const [r, g, b] = colour(looks, x, y, phase);
      yuv[y * WIDTH + x] = 16 + 0.257 * r + 0.504 * g + 0.098 * b;
      if (x % 2 === 1 || y % 2 === 1) continue;
      const chroma: number = luma + (y >> 1) * (WIDTH >> 1) + (x >> 1);
      yuv[chroma] = 128 - 0.148 * r - 0.291 * g + 0.439 * b;
      yuv[chroma + luma / 4] = 128 + 0.439 * r - 0.368 * g - 0.071 * b;
    }
  }
  return yuv;
}

function colour(looks: Looks, x: number, y: number, phase: number): Colour {
  const sway: number = 6 * Math.sin(phase);
  const nod: number = 4 * Math.sin(2 * phase);
  const [headX, headY] = [480 + sway, 225 + nod];
  const within = (cx: number, cy: number, rx: number, ry: number): boolean => ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1;
  const open: number = 5 + 8 * Math.abs(Math.sin(3 * phase));
  if (within(headX - 38, headY - 8, 8, 9) || within(headX + 38, headY - 8, 8, 9)) return [40, 30, 28];
  if (within(headX, headY + 58, 30, open)) return [150, 60, 60];
  const fringe: boolean = y < headY - 45 + 14 * Math.sin((x - headX) / 40);
  if (within(headX, headY, 98, 122)) return fringe ? looks.hair : shade(looks.skin, 1 - Math.abs(x - headX) / 700);
  if (within(headX, headY - 18, 116, 128) && (y < headY || looks.length === 1)) return looks.hair;
  if (looks.length === 1 && within(headX, headY + 80, 124, 150) && Math.abs(x - headX) > 72) return looks.hair;
  if (Math.abs(x - headX) < 40 && y > headY + 100 && y < headY + 190) return shade(looks.skin, 0.88);
  if (within(480 + sway / 2, 600, 290, 200)) return shade(looks.shirt, 1 - Math.abs(x - 480) / 1200);
  if (x > 690 && x < 930 && (y % 130) < 12) return looks.shelf;
  if (x > 700 && x < 920 && y % 130 > 60 && Math.floor(x / 22) % 3 !== 0) return shade(looks.shelf, 0.75 + (Math.floor(x / 22) % 4) * 0.12);
  return shade(looks.wall, 1 - y / 2400 - Math.abs(x - 300) / 4000);
}

function shade([r, g, b]: Colour, by: number): Colour {
  return [r * by, g * by, b * by];
}
