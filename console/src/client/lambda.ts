// Lambda's operations that the console uses, in the shapes of AWS's API.

import { json, request } from './request';

export interface Configuration {
  FunctionName: string;
  FunctionArn: string;
  Runtime: string;
  Role: string;
  Handler: string;
  CodeSize: number;
  Description: string;
  Timeout: number;
  MemorySize: number;
  LastModified: string;
  CodeSha256: string;
  Version: string;
  RevisionId: string;
  State?: 'Pending' | 'Active' | 'Inactive' | 'Failed';
  StateReason?: string;
  LastUpdateStatus?: 'Successful' | 'Failed' | 'InProgress';
  LastUpdateStatusReason?: string;
  Environment?: { Variables?: Record<string, string> };
  DeadLetterConfig?: { TargetArn?: string };
  LoggingConfig?: { LogFormat?: 'Text' | 'JSON'; ApplicationLogLevel?: string; SystemLogLevel?: string; LogGroup?: string };
  EphemeralStorage?: { Size: number };
  Layers?: { Arn: string; CodeSize?: number }[];
  Architectures?: string[];
}

export interface FunctionDocument {
  Configuration: Configuration;
  Code: { Location: string };
  Tags?: Record<string, string>;
  Concurrency?: { ReservedConcurrentExecutions?: number };
}

export interface EventInvoke {
  MaximumRetryAttempts?: number;
  MaximumEventAgeInSeconds?: number;
  DestinationConfig?: { OnSuccess?: { Destination?: string }; OnFailure?: { Destination?: string } };
}

export interface Mapping {
  UUID: string;
  FunctionArn: string;
  EventSourceArn: string;
  BatchSize: number;
  MaximumBatchingWindowInSeconds?: number;
  State: string;
  StateTransitionReason?: string;
  LastModified: number;
  FunctionResponseTypes?: string[];
  FilterCriteria?: { Filters?: { Pattern: string }[] };
  ScalingConfig?: { MaximumConcurrency?: number };
}

/** What stands ready for a version or an alias, which its ARN ends with. */
export interface Provisioned {
  FunctionArn: string;
  RequestedProvisionedConcurrentExecutions: number;
  AllocatedProvisionedConcurrentExecutions?: number;
  AvailableProvisionedConcurrentExecutions?: number;
  Status: 'IN_PROGRESS' | 'READY' | 'FAILED';
  StatusReason?: string;
}

export interface LayerVersion {
  LayerVersionArn: string;
  Version: number;
  Description?: string;
  CreatedDate: string;
}

export interface Alias {
  Name: string;
  FunctionVersion: string;
  Description: string;
  RevisionId: string;
  RoutingConfig?: { AdditionalVersionWeights?: Record<string, number> } | null;
}

/** A statement of a function's policy, as it is written. */
export interface Statement {
  Sid: string;
  Effect: string;
  Principal: unknown;
  Action: string | string[];
  Resource: string;
  Condition?: Record<string, Record<string, unknown>>;
}

export interface AccountSettings {
  AccountLimit: { ConcurrentExecutions: number; UnreservedConcurrentExecutions: number; TotalCodeSize: number };
  AccountUsage: { FunctionCount: number; TotalCodeSize: number };
}

export interface Invoked {
  status: number;
  requestId: string;
  error: string | undefined;
  executedVersion: string;
  payload: string;
  /** The last 4 KB of the log. */
  log: string;
}

const FUNCTIONS = '/2015-03-31/functions';
const JSON_BODY = { 'content-type': 'application/json' };
const at = (name: string, more = '') => `${FUNCTIONS}/${encodeURIComponent(name)}${more}`;

export const LATEST = '$LATEST';
const qualified = (qualifier: string) => (qualifier === LATEST ? '' : `?Qualifier=${encodeURIComponent(qualifier)}`);

/** All that a list says, page by page. */
export async function all<T>(path: string, member: string, query: Record<string, string> = {}): Promise<T[]> {
  const items: T[] = [];
  let marker: string | undefined;
  do {
    const page = await json<Record<string, unknown>>({ path: `${path}?${new URLSearchParams({ ...query, ...(marker !== undefined && { Marker: marker }) })}` });
    items.push(...(page[member] as T[]));
    marker = (page['NextMarker'] as string | null | undefined) ?? undefined;
  } while (marker !== undefined);
  return items;
}

/** Pages of functions, as they come. */
export async function* listFunctions(signal?: AbortSignal): AsyncGenerator<Configuration[]> {
  let marker: string | undefined;
  do {
    const query = marker === undefined ? '' : `&Marker=${encodeURIComponent(marker)}`;
    const page = await json<{ Functions: Configuration[]; NextMarker?: string | null }>({
      path: `${FUNCTIONS}?MaxItems=50${query}`,
      ...(signal && { signal }),
    });
    yield page.Functions;
    marker = page.NextMarker ?? undefined;
  } while (marker !== undefined);
}

export const getFunction = (name: string) => json<FunctionDocument>({ path: at(name) });
export const getConfiguration = (name: string, qualifier = LATEST) =>
  json<Configuration>({ path: at(name, `/configuration${qualified(qualifier)}`) });
export const getAccountSettings = () => json<AccountSettings>({ path: '/2016-08-19/account-settings' });

export function createFunction(input: Record<string, unknown>): Promise<Configuration> {
  return json({ method: 'POST', path: FUNCTIONS, headers: JSON_BODY, body: JSON.stringify(input) });
}

export async function deleteFunction(name: string): Promise<void> {
  await request({ method: 'DELETE', path: at(name) });
}

export function updateCode(name: string, zip: string, revisionId: string): Promise<Configuration> {
  const body = JSON.stringify({ ZipFile: zip, RevisionId: revisionId });
  return json({ method: 'PUT', path: at(name, '/code'), headers: JSON_BODY, body });
}

export function updateConfiguration(name: string, change: Record<string, unknown>): Promise<Configuration> {
  return json({ method: 'PUT', path: at(name, '/configuration'), headers: JSON_BODY, body: JSON.stringify(change) });
}

/** Waits until neither creation nor update is in progress. */
export async function settled(name: string): Promise<Configuration> {
  const deadline = Date.now() + 300_000;
  for (let pause = 100; ; pause = Math.min(pause * 1.5, 1000)) {
    const configuration = await getConfiguration(name);
    if (configuration.State !== 'Pending' && configuration.LastUpdateStatus !== 'InProgress') return configuration;
    if (Date.now() > deadline) throw new Error('The function is still not ready after five minutes.');
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

export async function invoke(name: string, payload: string, type: 'RequestResponse' | 'Event', qualifier: string): Promise<Invoked> {
  const response = await request({
    method: 'POST',
    path: at(name, `/invocations${qualified(qualifier)}`),
    headers: { 'x-amz-invocation-type': type, ...(type === 'RequestResponse' && { 'x-amz-log-type': 'Tail' }) },
    body: payload,
  });
  const head = (header: string) => response.headers.get(header) ?? undefined;
  const log = head('x-amz-log-result');
  return {
    status: response.status,
    requestId: head('x-amzn-requestid') ?? '',
    error: head('x-amz-function-error'),
    executedVersion: head('x-amz-executed-version') ?? '$LATEST',
    payload: await response.text(),
    log: log === undefined ? '' : new TextDecoder().decode(Uint8Array.from(atob(log), (byte) => byte.charCodeAt(0))),
  };
}

/** `$LATEST` first. */
export const listVersions = (name: string) => all<Configuration>(at(name, '/versions'), 'Versions');

export function publishVersion(name: string, description: string, codeSha256: string): Promise<Configuration> {
  const body = JSON.stringify({ CodeSha256: codeSha256, ...(description && { Description: description }) });
  return json({ method: 'POST', path: at(name, '/versions'), headers: JSON_BODY, body });
}

export async function deleteVersion(name: string, version: string): Promise<void> {
  await request({ method: 'DELETE', path: at(name, qualified(version)) });
}

export const listAliases = (name: string) => all<Alias>(at(name, '/aliases'), 'Aliases');

export interface AliasInput {
  FunctionVersion: string;
  Description: string;
  RoutingConfig: { AdditionalVersionWeights: Record<string, number> };
}

export function createAlias(name: string, alias: string, input: AliasInput): Promise<Alias> {
  return json({ method: 'POST', path: at(name, '/aliases'), headers: JSON_BODY, body: JSON.stringify({ Name: alias, ...input }) });
}

export function updateAlias(name: string, alias: string, input: AliasInput & { RevisionId: string }): Promise<Alias> {
  return json({ method: 'PUT', path: at(name, `/aliases/${encodeURIComponent(alias)}`), headers: JSON_BODY, body: JSON.stringify(input) });
}

export async function deleteAlias(name: string, alias: string): Promise<void> {
  await request({ method: 'DELETE', path: at(name, `/aliases/${encodeURIComponent(alias)}`) });
}

export async function getStatements(name: string, qualifier = LATEST): Promise<Statement[]> {
  const found = await absent(json<{ Policy: string }>({ path: at(name, `/policy${qualified(qualifier)}`) }));
  return found === undefined ? [] : (JSON.parse(found.Policy) as { Statement: Statement[] }).Statement;
}

export async function addPermission(name: string, input: Record<string, unknown>, qualifier = LATEST): Promise<void> {
  await request({ method: 'POST', path: at(name, `/policy${qualified(qualifier)}`), headers: JSON_BODY, body: JSON.stringify(input) });
}

/** Lets a topic invoke a function, as AWS's console does where one subscribes it; a topic's statement is there once. */
export async function allowTopic(name: string, topic: string): Promise<void> {
  const statement = `sns-${topic.split(':')[5] ?? ''}`.slice(0, 100);
  const there = (await getStatements(name)).some(({ Sid }) => Sid === statement);
  const input = { StatementId: statement, Action: 'lambda:InvokeFunction', Principal: 'sns.amazonaws.com', SourceArn: topic };
  if (!there) await addPermission(name, input);
}

export async function removePermission(name: string, statement: string, qualifier = LATEST): Promise<void> {
  await request({ method: 'DELETE', path: at(name, `/policy/${encodeURIComponent(statement)}${qualified(qualifier)}`) });
}

export interface Scaling {
  MinExecutionEnvironments?: number;
  MaxExecutionEnvironments?: number;
}

/** What bounds a version's environments: what is in effect, and what was asked for until that is. */
export const getScaling = (name: string, version: string) =>
  json<{ AppliedFunctionScalingConfig?: Scaling; RequestedFunctionScalingConfig?: Scaling }>({
    path: `/2025-11-30/functions/${encodeURIComponent(name)}/function-scaling-config?Qualifier=${encodeURIComponent(version)}`,
  });

const tagsOf = (arn: string) => `/2017-03-31/tags/${encodeURIComponent(arn)}`;

/** Makes the tags those that are wanted, of those that there are; what is refused is refused before any is gone. */
export async function changeTags(arn: string, former: Record<string, string>, wanted: Record<string, string>): Promise<void> {
  const gone = Object.keys(former).filter((key) => !(key in wanted));
  const set = Object.fromEntries(Object.entries(wanted).filter(([key, value]) => former[key] !== value));
  const query = new URLSearchParams(gone.map((key) => ['tagKeys', key]));
  if (Object.keys(set).length > 0) await request({ method: 'POST', path: tagsOf(arn), headers: JSON_BODY, body: JSON.stringify({ Tags: set }) });
  if (gone.length > 0) await request({ method: 'DELETE', path: `${tagsOf(arn)}?${query}` });
}

const ASYNC = '/2019-09-25/functions';

export async function getEventInvoke(name: string): Promise<EventInvoke | undefined> {
  return absent(json<EventInvoke>({ path: `${ASYNC}/${encodeURIComponent(name)}/event-invoke-config` }));
}

export function putEventInvoke(name: string, config: EventInvoke): Promise<EventInvoke> {
  const path = `${ASYNC}/${encodeURIComponent(name)}/event-invoke-config`;
  return json({ method: 'PUT', path, headers: JSON_BODY, body: JSON.stringify(config) });
}

export async function putConcurrency(name: string, reserved: number | undefined): Promise<void> {
  const path = `/2017-10-31/functions/${encodeURIComponent(name)}/concurrency`;
  if (reserved === undefined) await request({ method: 'DELETE', path });
  else {
    const body = JSON.stringify({ ReservedConcurrentExecutions: reserved });
    await request({ method: 'PUT', path, headers: JSON_BODY, body });
  }
}

const provisionedOf = (name: string) => `/2019-09-30/functions/${encodeURIComponent(name)}/provisioned-concurrency`;
const provisionedFor = (name: string, qualifier: string) => `${provisionedOf(name)}?Qualifier=${encodeURIComponent(qualifier)}`;

export const listProvisioned = (name: string) => all<Provisioned>(provisionedOf(name), 'ProvisionedConcurrencyConfigs', { List: 'ALL' });

export async function putProvisioned(name: string, qualifier: string, count: number): Promise<void> {
  const body = JSON.stringify({ ProvisionedConcurrentExecutions: count });
  await request({ method: 'PUT', path: provisionedFor(name, qualifier), headers: JSON_BODY, body });
}

export async function deleteProvisioned(name: string, qualifier: string): Promise<void> {
  await request({ method: 'DELETE', path: provisionedFor(name, qualifier) });
}

const MAPPINGS = '/2015-03-31/event-source-mappings';

/** Of a function, or of all. */
export const listMappings = (functionName?: string) =>
  all<Mapping>(`${MAPPINGS}/`, 'EventSourceMappings', functionName === undefined ? {} : { FunctionName: functionName });

export function createMapping(input: Record<string, unknown>): Promise<Mapping> {
  return json({ method: 'POST', path: `${MAPPINGS}/`, headers: JSON_BODY, body: JSON.stringify(input) });
}

export function updateMapping(uuid: string, change: Record<string, unknown>): Promise<Mapping> {
  return json({ method: 'PUT', path: `${MAPPINGS}/${uuid}`, headers: JSON_BODY, body: JSON.stringify(change) });
}

export async function deleteMapping(uuid: string): Promise<void> {
  await request({ method: 'DELETE', path: `${MAPPINGS}/${uuid}` });
}

const LAYERS = '/2018-10-31/layers';
const versionsOf = (layer: string, more = '') => `${LAYERS}/${encodeURIComponent(layer)}/versions${more}`;

/** The newest first. */
const listLayerVersions = (layer: string) => all<LayerVersion>(versionsOf(layer), 'LayerVersions');

export interface NamedLayerVersion extends LayerVersion {
  name: string;
}

/** Every version of every layer, the newest of each first. */
export async function listAllLayerVersions(): Promise<NamedLayerVersion[]> {
  const layers = await all<{ LayerName: string }>(LAYERS, 'Layers');
  const versions = await Promise.all(layers.map(async ({ LayerName: name }) => (await listLayerVersions(name)).map((version) => ({ ...version, name }))));
  return versions.flat();
}

export function publishLayerVersion(layer: string, description: string, zip: string): Promise<LayerVersion> {
  const body = JSON.stringify({ Description: description, Content: { ZipFile: zip } });
  return json({ method: 'POST', path: versionsOf(layer), headers: JSON_BODY, body });
}

export async function deleteLayerVersion(layer: string, version: number): Promise<void> {
  await request({ method: 'DELETE', path: versionsOf(layer, `/${version}`) });
}

/** `undefined` where there is none. */
async function absent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 404) return undefined;
    throw error;
  }
}
