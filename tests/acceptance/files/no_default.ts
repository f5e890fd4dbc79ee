export const allowRead = () => true;
export const allowWrite = () => true;
