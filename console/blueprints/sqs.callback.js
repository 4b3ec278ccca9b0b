// Works on messages one by one and names those that failed: the queue gives only these again. The event source mapping
// needs FunctionResponseTypes: ReportBatchItemFailures.
exports.handler = function (event, context, callback) {
  var failures = [];
  event.Records.forEach(function (record) {
    try {
      work(record.body);
    } catch (error) {
      console.error(record.messageId, error.message);
      failures.push({ itemIdentifier: record.messageId });
    }
  });
  callback(null, { batchItemFailures: failures });
};

// What throws for a message fails that one alone.
function work(body) {
  if (body.trim() === '') throw new Error('The message is empty.');
  console.log('message', body);
}
