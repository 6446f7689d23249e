-- The class of the error. A record that was refused would be refused again; of deliveries that were
-- given up before this step it is not known.
ALTER TABLE dead_letter ADD COLUMN class TEXT;
UPDATE dead_letter SET class = 'permanent' WHERE kind = 'capture';
