exports.handler = async (event, context) => {
  console.log('value1 =', event.key1);
  console.log('value2 =', event.key2);
  console.log('value3 =', event.key3);
  return event.key1;
  // throw new Error('Something went wrong');
};
