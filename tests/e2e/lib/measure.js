// Times that a test measures and says.

/** When the hub took a property, in milliseconds since 1970: `metadata` is its entry in $metadata. */
export function hubTime(metadata) {
  return Date.parse(metadata.$lastUpdated);
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
