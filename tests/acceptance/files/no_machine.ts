export default { states: {} };
export const allowRead = () => true;
export const allowWrite = () => true;
