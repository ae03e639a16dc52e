// The helpers of tests/e2e hang what they start on a test; outside of a test this stands in for it.

export class Context {
  #undo = [];

  after(undo) {
    this.#undo.push(undo);
  }

  diagnostic(text) {
    console.error(text);
  }

  async end() {
    for (const undo of this.#undo.splice(0).reverse()) await undo();
  }
}

/** Calls `work` with a context and ends whatever it has started there. */
export async function within(work) {
  const context = new Context();
  try {
    return await work(context);
  } finally {
    await context.end();
  }
}
