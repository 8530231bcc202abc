"""Words of no domain: settings, database, errors, HTTP, jobs, time, paging, places, languages."""
