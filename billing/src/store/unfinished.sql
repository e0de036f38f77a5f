-- How much was begun and is not finished, whoever's it is.
select (select count(*) from payment where state = 'attempted') as payments,
       (select count(*) from refund where state = 'attempted') as refunds,
       (select count(*) from payout where state = 'attempted') as payouts,
       (select count(*) from news_set_aside where taken_in_at is null) as news
