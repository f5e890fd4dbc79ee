// A light that counts how often it was switched on, and goes off by itself after three seconds.
import { assign, setup } from "xstate";
import type { AllowRead, AllowWrite } from "@statebacked/machine";

type Context = { public: { count: number } };
type AuthContext = { sid?: string };

// Who may look at an instance, and who may send it events: the session that it is named after.
export const allowRead: AllowRead<Context, AuthContext> = ({ machineInstanceName, authContext }) =>
  authContext.sid === machineInstanceName;

export const allowWrite: AllowWrite<Context, AuthContext> = ({ machineInstanceName, authContext }) =>
  authContext.sid === machineInstanceName;

export default setup({
  types: {} as { context: Context; events: { type: "toggle" } },
  actions: {
    // Everybody who may read sees what is under "public"; the rest of a context stays private.
    count: assign(({ context }) => ({ public: { count: context.public.count + 1 } })),
  },
}).createMachine({
  id: "toggler",
  initial: "off",
  context: { public: { count: 0 } },
  states: {
    off: {
      on: { toggle: "on" },
    },
    on: {
      entry: "count",
      on: { toggle: "off" },
      // The timer is on disk: it fires though no process waits for it.
      after: { 3000: "off" },
    },
  },
});
