exports.handler = function (event, context, callback) {
  var message = event.Records[0].Sns.Message;
  console.log('From SNS:', message);
  callback(null, message);
};
