// Nested and parallel states, history, finals, tags, guards and a timer of two hours.
import { assign, setup } from "xstate";

export const allowRead = () => true;
export const allowWrite = () => true;

export default setup({
  guards: { hasBudget: ({ context }) => (context as any).public.total <= 1000 },
  actions: { add: assign({ public: ({ event }) => ({ total: (event as any).total }) } as any) },
}).createMachine({
  id: "checkout",
  initial: "cart",
  context: { public: { total: 0 }, approver: "u_81" },
  states: {
    cart: { on: { add: { actions: "add" }, pay: "payment", resume: "payment.method.back" } },
    payment: {
      type: "parallel",
      on: { approve: { target: "shipped", guard: "hasBudget" }, cancel: "cancelled" },
      after: { 7200000: "cart" },
      states: {
        method: {
          initial: "card",
          states: {
            card: { on: { choose: "invoice" } },
            invoice: { tags: "needs-approval" },
            back: { type: "history" },
          },
        },
        fraud: {
          initial: "checking",
          states: { checking: { on: { clear: "cleared" } }, cleared: { type: "final" } },
        },
      },
    },
    shipped: { type: "final" },
    cancelled: { type: "final" },
  },
});
