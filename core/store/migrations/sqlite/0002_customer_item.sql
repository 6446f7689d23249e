-- The items of a customer, for the look-up of earlier items. Only items whose config has such a
-- look-up are in it. Rows come in the order of the items; the index finds those of a customer.
CREATE TABLE customer_item (
    item     INTEGER NOT NULL PRIMARY KEY,
    customer TEXT    NOT NULL
) STRICT;

CREATE INDEX customer_item_customer ON customer_item (customer, item);
