/** Reads a command's arguments. What `read` throws is for whoever typed them: the process ends with 2. */
export function readArguments<Options>(usage: string, read: () => Options): Options {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    process.exit(2);
  }
}
