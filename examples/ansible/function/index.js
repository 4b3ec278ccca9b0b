exports.handler = async (event) => ({ text: require('greeting')(event.name || 'queue'), stage: process.env.STAGE });
