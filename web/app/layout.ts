/** How tiles fill a stage. */
export interface Packing {
  readonly columns: number;
  readonly width: number;
  readonly height: number;
}

const COLUMNS_MAX = 5;

/**
 * The largest tiles of one shape that fit: every number of columns is tried. On a tall stage (a phone) tiles
 * may become as tall as 4:5 instead of leaving half the screen empty.
 */
export function pack(tiles: number, stage: { readonly width: number; readonly height: number }, gap: number): Packing {
  let best: Packing = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.min(COLUMNS_MAX, Math.max(1, tiles)); columns++) {
    const rows: number = Math.ceil(tiles / columns);
    const widest: number = (stage.width - gap * (columns - 1)) / columns;
    const tallest: number = (stage.height - gap * (rows - 1)) / rows;
    const height: number = Math.min(tallest, widest / (4 / 5));
    const width: number = Math.min(widest, height * (16 / 9));
    if (visible(width, height) > visible(best.width, best.height)) best = { columns, width: Math.floor(width), height: Math.floor(height) };
  }
  return best;
}

/** How much of a 16:9 picture's worth a tile shows: area, but tall tiles count less, for they cut the sides. */
function visible(width: number, height: number): number {
  if (width <= 0 || height <= 0) return 0;
  const shown: number = Math.min(1, width / (height * (16 / 9)));
  return width * height * (0.5 + shown / 2);
}
