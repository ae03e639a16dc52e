// What a process holds of the machine: memory and descriptors, from /proc.

import fs from 'node:fs';

/** { rss: resident memory in KiB, fds: open descriptors } of a process that runs. */
export function usage(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return { rss: Number(status.match(/^VmRSS:\s+(\d+) kB$/m)[1]), fds: fs.readdirSync(`/proc/${pid}/fd`).length };
}

/** The slope of points [x, y] by least squares, per unit of x. */
export function slope(points) {
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0);
  return over / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
}
