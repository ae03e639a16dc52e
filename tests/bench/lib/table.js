// Plain text tables.

/** A title, a line of heads, and rows: the first column to the left, the others to the right. */
export function table(title, heads, rows) {
  const lines = [heads, ...rows].map((row) => row.map(String));
  const widths = heads.map((_, column) => Math.max(...lines.map((row) => row[column].length)));
  const line = (row) => row
    .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
    .join('   ').trimEnd();
  return [title, '', ...lines.map(line), ''].join('\n');
}
