-- Who may decide: one process at a time. The token grows with every change of holder.
CREATE TABLE "leases" (
  "name" text PRIMARY KEY,
  "holder" text NOT NULL,
  "token" integer NOT NULL,
  "expires_at" timestamp with time zone NOT NULL
);
