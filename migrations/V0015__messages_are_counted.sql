-- Messages that pages write to each other are counted like time and bytes: as a counter of the leg they are relayed to, by the
-- hour. No plan prices them yet; a price may.
--
-- Only a name is added to two lists. What stands in the tables has met the narrower lists, so nothing is scanned while they are
-- locked; the old binary writes none of the new name.

alter table usage_fact drop constraint usage_fact_meter_known;
alter table usage_fact add constraint usage_fact_meter_known
  check (meter in ('participant_ms', 'egress_bytes', 'message_count')) not valid;

alter table price drop constraint price_meter_known;
alter table price add constraint price_meter_known
  check (meter in ('participant_ms', 'egress_bytes', 'message_count')) not valid;
