// `data:` streams (protocol.md 4.1.2, 6.1): the payload of each event, as it comes.

/** Payloads in order; rejects when the body is cut off. */
export async function* eventsOf(response: Response): AsyncGenerator<string> {
  if (!response.body) return;
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('data: ')) yield line.slice(6).trimEnd();
  }
  if (rest.startsWith('data: ')) yield rest.slice(6);
}
