// CloudWatch Logs by the AWS SDK for JavaScript v3, unmodified, against the endpoint in $ENDPOINT: the lines that the
// function $FUNCTION_NAME has written (two invocations, each with 'line <n>'), and a group of its own. Says "done" when
// every assertion held.

import assert from 'node:assert/strict';
import {
  CloudWatchLogsClient, CreateLogGroupCommand, CreateLogStreamCommand, DeleteLogGroupCommand, GetLogEventsCommand,
  GetQueryResultsCommand, InvalidParameterException, MalformedQueryException, PutLogEventsCommand, PutRetentionPolicyCommand,
  ResourceAlreadyExistsException, ResourceNotFoundException, StartQueryCommand, paginateDescribeLogGroups,
  paginateDescribeLogStreams, paginateFilterLogEvents,
} from '@aws-sdk/client-cloudwatch-logs';

const name = process.env.FUNCTION_NAME;
const client = new CloudWatchLogsClient({
  endpoint: process.env.ENDPOINT,
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  maxAttempts: 1,
});
const send = (Command, input) => client.send(new Command(input));
const all = async (pages, member) => {
  const items = [];
  for await (const page of pages) items.push(...page[member]);
  return items;
};

// What a function wrote.
const logGroupName = `/aws/lambda/${name}`;
const streams = await all(paginateDescribeLogStreams({ client, pageSize: 1 }, { logGroupName }), 'logStreams');
assert.match(streams[0].logStreamName, /^\d{4}\/\d\d\/\d\d\/\[\$LATEST\][0-9a-f]{32}$/);
const lines = await all(paginateFilterLogEvents({ client, pageSize: 2 }, { logGroupName, filterPattern: 'line' }), 'events');
assert.deepEqual(lines.map((event) => event.message.trim().split('\t').pop()), ['line 1', 'line 2']);
const none = await all(paginateFilterLogEvents({ client }, { logGroupName, filterPattern: '?absent ?missing' }), 'events');
assert.deepEqual(none, []);

// A group of its own.
const own = { logGroupName: `${name}/sdk`, logStreamName: 's' };
await send(CreateLogGroupCommand, { logGroupName: own.logGroupName, tags: { made: 'here' } });
await assert.rejects(send(CreateLogGroupCommand, { logGroupName: own.logGroupName }), ResourceAlreadyExistsException);
await send(PutRetentionPolicyCommand, { logGroupName: own.logGroupName, retentionInDays: 3 });
const groups = await all(paginateDescribeLogGroups({ client, pageSize: 1 }, { logGroupNamePrefix: name }), 'logGroups');
assert.deepEqual(groups.map((group) => [group.logGroupName, group.retentionInDays]), [[own.logGroupName, 3]]);
await send(CreateLogStreamCommand, own);
const at = Date.now() - 1000;
const texts = Array.from({ length: 10 }, (_, n) => `{"n":${n},"text":"ä ${n}"}`);
await send(PutLogEventsCommand, { ...own, logEvents: texts.map((message, n) => ({ timestamp: at + n, message })) });

// Both ways by tokens, to both ends.
const last = await send(GetLogEventsCommand, { ...own, limit: 4 });
assert.deepEqual(last.events.map((event) => event.message), texts.slice(6));
const before = await send(GetLogEventsCommand, { ...own, limit: 4, nextToken: last.nextBackwardToken });
assert.deepEqual(before.events.map((event) => event.message), texts.slice(2, 6));
const again = await send(GetLogEventsCommand, { ...own, limit: 4, nextToken: before.nextForwardToken });
assert.deepEqual(again.events, last.events);
const end = await send(GetLogEventsCommand, { ...own, nextToken: again.nextForwardToken });
assert.deepEqual([end.events, end.nextForwardToken], [[], again.nextForwardToken]);

const asked = { logGroupName: own.logGroupName, startTime: Math.floor(at / 1000) - 60, endTime: Math.ceil(Date.now() / 1000) + 60 };
const { queryId } = await send(StartQueryCommand, { ...asked, queryString: 'filter n >= 5 | stats count(*) as many, max(n) as most' });
let answer;
do answer = await send(GetQueryResultsCommand, { queryId }); while (['Scheduled', 'Running'].includes(answer.status));
assert.equal(answer.status, 'Complete');
assert.deepEqual(answer.results.map((row) => row.map(({ field, value }) => [field, value])), [[['many', '5'], ['most', '9']]]);

// Refusals are the SDK's own classes.
await assert.rejects(send(GetLogEventsCommand, { ...own, nextToken: 'x' }), InvalidParameterException);
await assert.rejects(send(GetLogEventsCommand, { ...own, logStreamName: 'none' }), ResourceNotFoundException);
await assert.rejects(send(StartQueryCommand, { ...asked, queryString: 'filter n >' }), (error) => {
  assert(error instanceof MalformedQueryException, String(error));
  assert.deepEqual(error.queryCompileError.location, { startCharOffset: 10, endCharOffset: 11 });
  return true;
});
await send(DeleteLogGroupCommand, { logGroupName: own.logGroupName });
await assert.rejects(send(GetLogEventsCommand, own), ResourceNotFoundException);
console.log('done');
