// The one handler of all functions of the chaos test. What it ran it appends to a file outside of lambkin, before it does
// what the event says: the file's durability is not lambkin's.
'use strict';
const fs = require('fs');

const where = process.env.WHERE;
const report = (line) => fs.appendFileSync(process.env.REPORTS, JSON.stringify({ where, ...line }) + '\n');
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function act(fate) {
  switch (fate) {
    case 'slow': return pause(200);
    case 'fail': throw new Error('as it was told');
    case 'exit': return process.exit(3);
    case 'timeout': return pause(60000);
    default: return undefined;
  }
}

// Of a queue or a topic. `once`: fails the first time; `poison`: each time; `crash`: takes its process down the first time.
async function records(event, request) {
  const failures = [];
  let crash = false;
  for (const record of event.Records) {
    const message = JSON.parse(record.Sns ? record.Sns.Message : record.body);
    const attributes = record.attributes || {};
    const first = !attributes.ApproximateReceiveCount || attributes.ApproximateReceiveCount === '1';
    // Behind a failure in a FIFO queue nothing may run.
    if (attributes.MessageGroupId && failures.length > 0) {
      failures.push(record.messageId);
      continue;
    }
    report({ id: message.id, group: message.group, number: message.number, request, received: attributes.ApproximateReceiveCount });
    if (message.fate === 'poison' || (message.fate === 'once' && first)) failures.push(record.messageId);
    if (message.fate === 'crash' && first) crash = true;
  }
  if (crash) process.exit(3);
  return { batchItemFailures: failures.map((itemIdentifier) => ({ itemIdentifier })) };
}

exports.handler = async (event, context) => {
  if (event.Records) return records(event, context.awsRequestId);
  // A destination's record has the event inside.
  const { id, fate } = event.requestPayload ? { ...event.requestPayload, fate: 'ok' } : event;
  report({ id, request: context.awsRequestId, chained: Boolean(event.requestPayload) });
  await act(fate);
  return { id };
};
