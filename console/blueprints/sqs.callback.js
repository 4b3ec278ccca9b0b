// Works on messages one by one and names those that failed: the queue gives only these again. The event source mapping
// needs FunctionResponseTypes: ReportBatchItemFailures.
exports.handler = function (event, context, callback) {
  var failures = [];
  event.Records.forEach(function (record) {
    try {
      work(JSON.parse(record.body));
    } catch (error) {
      console.error(record.messageId, error.message);
      failures.push({ itemIdentifier: record.messageId });
    }
  });
  callback(null, { batchItemFailures: failures });
};

function work(message) {
  console.log('message', message);
}
