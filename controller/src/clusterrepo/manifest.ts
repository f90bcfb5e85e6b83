// A deployment file read back: the DeploymentSpec it was rendered from, what the guard needs of it, and what is wrong with the file by
// itself. Whatever depends on other files, servers or the configuration is the guard's.

import type { z } from 'zod';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { findLeaks } from './leaks.ts';
import { type JobShape, jobShape, type ServiceShape, serviceShape } from './manifestshape.ts';
import { deploymentPath, type Finding, findMisfits, kindOf } from './misfits.ts';
import { readYaml, type YamlText } from './yamlread.ts';

export interface ManifestContent {
  spec: DeploymentSpec;
  /** Image of the chute container. */
  image: string;
  initImages: readonly string[];
  /** Limits of the chute container. */
  cpu: number;
  memoryGi: number;
  diskGi: number;
}

export interface ParsedManifest {
  path: string;
  /** Blob id, or any other name of the content. */
  oid: string;
  /** From the path, also when the file cannot be read. */
  server: string;
  /** Undefined when the file cannot be read or is not the file its path says. */
  content: ManifestContent | undefined;
  findings: readonly Finding[];
}

const allowedKinds = new Set(['Service', 'Job', 'ConfigMap']);
const longestText = 2 * 1024 * 1024;
const pathPattern = /^chutes\/([a-z0-9-]+)\/([0-9a-f-]{36})\.yaml$/;

function kindFindings(documents: readonly unknown[]): Finding[] {
  return documents
    .map(kindOf)
    .filter((kind) => !allowedKinds.has(kind))
    .map((kind) =>
      kind === 'Secret'
        ? { code: 'secret-in-tree', message: 'holds a Secret' }
        : { code: 'kind-not-allowed', message: `holds an object of kind ${JSON.stringify(kind.slice(0, 40))}` },
    );
}

function theOne<T>(kind: string, documents: readonly unknown[], shape: z.ZodType<T>): T {
  const found = documents.filter((document) => kindOf(document) === kind);
  if (found.length !== 1) throw new MinerError('E-GUARD', `has ${found.length} objects of kind ${kind}, must have one`);
  const result = shape.safeParse(found[0]);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new MinerError('E-GUARD', `${kind} ${issue?.path.join('.')}: ${issue?.message}`);
}

function specOf(job: JobShape, service: ServiceShape): DeploymentSpec {
  const { labels, annotations } = job.metadata;
  return {
    deploymentId: labels['chutes/deployment-id'],
    chuteId: labels['chutes/chute-id'],
    chuteName: annotations['chutes-miner.io/chute-name'],
    version: labels['chutes/version'],
    validator: annotations['chutes-miner.io/validator'],
    server: annotations['chutes-miner.io/server'],
    gpuIds: annotations['chutes-miner.io/gpu-ids'],
    ports: service.spec.ports.map(({ port, protocol, nodePort }) => ({ port, proto: protocol, nodePort })),
    configId: labels['chutes/config-id'],
    jobId: labels['chutes/job-id'],
    diskGb: annotations['chutes-miner.io/disk-gb'],
    preemptible: annotations['chutes-miner.io/preemptible'],
    decisionId: annotations['chutes-miner.io/decision-id'],
    reason: annotations['chutes-miner.io/reason'],
  };
}

function readDocuments(text: string, path: string): YamlText & { problem?: string } {
  const nothing = { documents: [], literal: false };
  if (!pathPattern.test(path)) return { ...nothing, problem: 'is not called chutes/<server>/<deployment id>.yaml' };
  if (text.length > longestText) return { ...nothing, problem: `is longer than ${longestText} characters` };
  try {
    return readYaml(text);
  } catch (error) {
    return { ...nothing, problem: messageOf(error) };
  }
}

function readContent(documents: readonly unknown[], path: string): { content: ManifestContent; findings: Finding[] } {
  const job = theOne('Job', documents, jobShape);
  const service = theOne('Service', documents, serviceShape);
  const spec = specOf(job, service);
  const pod = job.spec.template.spec;
  const { cpu, memory, 'ephemeral-storage': diskGi } = pod.containers[0].resources.limits;
  return {
    content: {
      spec,
      image: pod.containers[0].image,
      initImages: pod.initContainers.map(({ image }) => image),
      cpu,
      memoryGi: memory,
      diskGi,
    },
    findings: findMisfits(path, documents, spec, job, service),
  };
}

/** Never throws: what cannot be read has the finding `unreadable` and no content. */
export function parseManifest(text: string, path: string, oid: string): ParsedManifest {
  const server = path.split('/')[1] ?? '';
  const { documents, literal, problem } = readDocuments(text, path);
  const findings = [
    ...findLeaks(text, documents, literal).map((message): Finding => ({ code: 'token-in-tree', message })),
    ...kindFindings(documents),
  ];
  const unreadable = (message: string): ParsedManifest => {
    return { path, oid, server, content: undefined, findings: [...findings, { code: 'unreadable', message }] };
  };
  if (problem !== undefined) return unreadable(problem);
  try {
    const read = readContent(documents, path);
    // A copy, because strings cut out of the text would keep all of it in memory.
    const content = path === deploymentPath(read.content.spec) ? structuredClone(read.content) : undefined;
    return { path, oid, server, content, findings: [...findings, ...read.findings] };
  } catch (error) {
    return unreadable(messageOf(error));
  }
}

/** The spec a file was rendered from; throws E-GUARD naming path and problem when it cannot be read or is not what its path says. */
export function parseDeployment(yamlText: string, path: string): DeploymentSpec {
  const { content, findings } = parseManifest(yamlText, path, path);
  if (content) return content.spec;
  const problem = findings.find(({ code }) => code === 'unreadable' || code === 'id-mismatch');
  throw new MinerError('E-GUARD', `${path}: ${problem?.message}`, { detail: { path } });
}
