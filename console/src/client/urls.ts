// Lambda's operations on function URLs, in the shapes of AWS's API, and the statements that open one to everybody.

import { addPermission, all, getStatements, LATEST, removePermission } from './lambda';
import { json, request } from './request';

export interface Cors {
  AllowCredentials?: boolean;
  AllowHeaders?: string[];
  AllowMethods?: string[];
  AllowOrigins?: string[];
  ExposeHeaders?: string[];
  /** Seconds. */
  MaxAge?: number;
}

export interface UrlInput {
  AuthType: 'NONE' | 'AWS_IAM';
  InvokeMode: 'BUFFERED' | 'RESPONSE_STREAM';
  /** Empty: none. */
  Cors: Cors;
}

export interface FunctionUrl {
  FunctionUrl: string;
  FunctionArn: string;
  AuthType: UrlInput['AuthType'];
  InvokeMode?: UrlInput['InvokeMode'];
  Cors?: Cors;
  CreationTime: string;
}

const JSON_BODY = { 'content-type': 'application/json' };
const of = (name: string, more: string) => `/2021-10-31/functions/${encodeURIComponent(name)}/${more}`;
const one = (name: string, qualifier: string) => of(name, `url${qualifier === LATEST ? '' : `?Qualifier=${encodeURIComponent(qualifier)}`}`);

/** The function's own and its aliases'. */
export const listUrls = (name: string) => all<FunctionUrl>(of(name, 'urls'), 'FunctionUrlConfigs');

export const createUrl = (name: string, qualifier: string, input: UrlInput) =>
  json<FunctionUrl>({ method: 'POST', path: one(name, qualifier), headers: JSON_BODY, body: JSON.stringify(input) });

export const updateUrl = (name: string, qualifier: string, input: UrlInput) =>
  json<FunctionUrl>({ method: 'PUT', path: one(name, qualifier), headers: JSON_BODY, body: JSON.stringify(input) });

export async function deleteUrl(name: string, qualifier: string): Promise<void> {
  await request({ method: 'DELETE', path: one(name, qualifier) });
}

/** The statements that AWS's console makes: a URL without authentication answers nobody until both are there. */
const PUBLIC = [
  { StatementId: 'FunctionURLAllowPublicAccess', Principal: '*', Action: 'lambda:InvokeFunctionUrl', FunctionUrlAuthType: 'NONE' },
  { StatementId: 'FunctionURLAllowInvokeAction', Principal: '*', Action: 'lambda:InvokeFunction', InvokedViaFunctionUrl: true },
];

const ours = async (name: string, qualifier: string) => {
  const there = new Set((await getStatements(name, qualifier)).map(({ Sid }) => Sid));
  return (statement: { StatementId: string }) => there.has(statement.StatementId);
};

export async function isPublic(name: string, qualifier: string): Promise<boolean> {
  return PUBLIC.every(await ours(name, qualifier));
}

/** Lets everybody call the URL, or nobody by these statements; others are left alone. */
export async function setPublic(name: string, qualifier: string, wanted: boolean): Promise<void> {
  const there = await ours(name, qualifier);
  for (const statement of PUBLIC) {
    if (wanted && !there(statement)) await addPermission(name, statement, qualifier);
    if (!wanted && there(statement)) await removePermission(name, statement.StatementId, qualifier);
  }
}
