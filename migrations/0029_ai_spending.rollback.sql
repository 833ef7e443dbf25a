DROP TABLE ai_spending;
