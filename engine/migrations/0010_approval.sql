-- Payments that need approval: one more parameter. Who approved a payment is in the terms of its row, which the batch's
-- hash covers.

alter table payplane.settings
    drop constraint settings_name_known,
    add constraint settings_name_known check (name between 1 and 14);
