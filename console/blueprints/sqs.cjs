// Works on messages one by one and names those that failed: the queue gives only these again. The event source mapping
// needs FunctionResponseTypes: ReportBatchItemFailures.
exports.handler = async (event) => {
  const batchItemFailures = [];
  for (const record of event.Records) {
    try {
      await work(record.body);
    } catch (error) {
      console.error(record.messageId, error.message);
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
};

// What throws for a message fails that one alone.
async function work(body) {
  if (body.trim() === '') throw new Error('The message is empty.');
  console.log('message', body);
}
