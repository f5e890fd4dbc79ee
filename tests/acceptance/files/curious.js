import { createMachine } from "npm:xstate@5";
import { readFileSync } from "node:fs";

export default createMachine({ context: { public: { users: readFileSync("/etc/passwd", "utf8") } } });
export const allowRead = () => true;
export const allowWrite = () => true;
