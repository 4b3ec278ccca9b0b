// SNS's operations that the console uses, in its Query protocol: a form there, XML back.

import { request } from './request';

export interface Subscription {
  SubscriptionArn: string;
  Protocol: string;
  Endpoint: string;
}

/** `Attributes.entry.1.key` and so on, as the protocol has maps. */
function fields(input: Record<string, string | Record<string, string>>): [string, string][] {
  return Object.entries(input).flatMap(([name, value]) => {
    if (typeof value === 'string') return [[name, value] as [string, string]];
    return Object.entries(value).flatMap(([key, inner], index) => [
      [`${name}.entry.${index + 1}.key`, key],
      [`${name}.entry.${index + 1}.value`, inner],
    ] as [string, string][]);
  });
}

async function ask(action: string, input: Record<string, string | Record<string, string>>): Promise<Document> {
  const body = new URLSearchParams([['Action', action], ['Version', '2010-03-31'], ...fields(input)]).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
  const response = await request({ method: 'POST', path: '/', service: 'sns', headers, body });
  return new DOMParser().parseFromString(await response.text(), 'text/xml');
}

const textOf = (within: Document | Element, tag: string) => within.getElementsByTagName(tag)[0]?.textContent ?? '';

/** All that a list says, page by page. */
async function members(action: string, input: Record<string, string>): Promise<Element[]> {
  const all: Element[] = [];
  let token = '';
  do {
    const page = await ask(action, { ...input, ...(token && { NextToken: token }) });
    all.push(...page.getElementsByTagName('member'));
    token = textOf(page, 'NextToken');
  } while (token !== '');
  return all;
}

export const listTopics = async () => (await members('ListTopics', {})).map((topic) => textOf(topic, 'TopicArn'));

export async function createTopic(name: string): Promise<string> {
  return textOf(await ask('CreateTopic', { Name: name }), 'TopicArn');
}

export async function deleteTopic(arn: string): Promise<void> {
  await ask('DeleteTopic', { TopicArn: arn });
}

export async function listSubscriptions(topic: string): Promise<Subscription[]> {
  const found = await members('ListSubscriptionsByTopic', { TopicArn: topic });
  return found.map((each) => ({ SubscriptionArn: textOf(each, 'SubscriptionArn'), Protocol: textOf(each, 'Protocol'), Endpoint: textOf(each, 'Endpoint') }));
}

export async function subscribe(topic: string, protocol: string, endpoint: string, attributes: Record<string, string>): Promise<void> {
  await ask('Subscribe', { TopicArn: topic, Protocol: protocol, Endpoint: endpoint, Attributes: attributes });
}

export async function unsubscribe(subscription: string): Promise<void> {
  await ask('Unsubscribe', { SubscriptionArn: subscription });
}

export async function publish(topic: string, message: string, subject: string): Promise<void> {
  await ask('Publish', { TopicArn: topic, Message: message, ...(subject && { Subject: subject }) });
}
