export const handler = async (event) => {
  const messages = event.Records.map(({ Sns }) => Sns.Message);
  for (const message of messages) console.log('From SNS:', message);
  return messages[0];
};
