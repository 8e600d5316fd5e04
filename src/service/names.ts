/** Names in lab files, and of subscriptions: 1 to 80 characters. */
export const namePattern = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$/;
