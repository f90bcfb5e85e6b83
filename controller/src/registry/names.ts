// Names in a pull: what the runtime asks for, what a pod's image is called, whose registry a host stands for. Whatever does not read as
// one of these exactly is undefined; nothing is repaired, because nginx forwards the bytes that were asked for.

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}';
const digest = '[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,128}';
const repository = `${component}(?:/${component})+`;
const pull = new RegExp(`^/v2/(${repository})/(?:manifests/(?:${tag}|${digest})|blobs/${digest})(?:\\?[!-~]*)?$`);
const image = new RegExp(
  `^([A-Za-z0-9-]+)(?:\\.[A-Za-z0-9.-]+)?(?::\\d+)?/(${repository})(?::${tag})?(?:@${digest})?$`,
);
const host = /^([a-z0-9-]{1,63})(?:\.[a-z0-9.-]*)?(?::\d{1,5})?$/i;
const longestUri = 1024;

/** The version check with which every pull starts. */
export const ping = '/v2/';

/** `<user>/<image>` of a request for a manifest or a blob (protocol.md 5); undefined for every other URI. */
export function requestedRepository(uri: string): string | undefined {
  return uri.length > longestUri ? undefined : pull.exec(uri)?.[1];
}

/** First DNS label in lower case, the port ignored: an ss58 address in lower case cannot be decoded, only compared. */
export function hostLabel(value: string): string | undefined {
  return host.exec(value)?.[1]?.toLowerCase();
}

/** Key of an image of a pod, as `placedKey` makes it; undefined when the name holds no registry or no user. */
export function imageKey(name: string): string | undefined {
  const [, label, path] = image.exec(name) ?? [];
  return label === undefined || path === undefined ? undefined : placedKey(label.toLowerCase(), path);
}

/** One validator's repository: two validators may both have `alice/llama`. */
export function placedKey(validator: string, path: string): string {
  return `${validator}/${path}`;
}
