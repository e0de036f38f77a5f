-- How far a processor's news have been heard. $1 processor
select coalesce((select n.last from processor_news n where n.processor = $1), 0) as last
