"""Upbit's answers as its documents and clients' captures show them (upbit docs v1.6.4, ccxt)."""

MARKETS = """[
 {"market":"KRW-BTC","korean_name":"비트코인","english_name":"Bitcoin",
  "market_event":{"warning":false,"caution":{"PRICE_FLUCTUATIONS":false}}},
 {"market":"KRW-1INCH","korean_name":"1인치네트워크","english_name":"1inch Network"},
 {"market":"BTC-ETH","korean_name":"이더리움","english_name":"Ethereum","market_warning":"NONE"}]"""

TICKERS = """[
 {"market":"KRW-ETH","trade_date":"20260124","trade_time":"085959","trade_timestamp":1769245199000,
  "opening_price":5000000,"high_price":5100000.0,"low_price":4900000,"trade_price":5050000,
  "prev_closing_price":5000000,"change":"RISE","signed_change_rate":0.01,
  "acc_trade_volume_24h":1234.5,"timestamp":1769245199120},
 {"market":"KRW-BTC","trade_date":"20260124","trade_time":"085959","trade_date_kst":"20260124",
  "trade_time_kst":"175959","trade_timestamp":1769245199123,"opening_price":148490000.00000000,
  "high_price":148520000.0,"low_price":147000000,"trade_price":148490000,
  "prev_closing_price":149000000,"change":"FALL","change_price":510000,
  "change_rate":0.0034228188,"signed_change_price":-510000,"signed_change_rate":-0.0034228188,
  "trade_volume":0.00016838,"acc_trade_price":163000000000.12345,
  "acc_trade_price_24h":363000000000.98765,"acc_trade_volume":1100.12345678,
  "acc_trade_volume_24h":2450.87654321,"highest_52_week_price":178000000,
  "highest_52_week_date":"2025-10-09","lowest_52_week_price":110000000,
  "lowest_52_week_date":"2025-04-07","timestamp":1769245199140}]"""

CANDLES = """[
 {"market":"KRW-BTC","candle_date_time_utc":"2026-01-24T08:55:00",
  "candle_date_time_kst":"2026-01-24T17:55:00","opening_price":148490000.0,
  "high_price":148520000.0,"low_price":148400000.0,"trade_price":148500000.0,
  "timestamp":1769245199123,"candle_acc_trade_price":254321987.65432100,
  "candle_acc_trade_volume":1.71234567,"unit":5},
 {"market":"KRW-BTC","candle_date_time_utc":"2026-01-24T08:45:00",
  "candle_date_time_kst":"2026-01-24T17:45:00","opening_price":148480000,
  "high_price":148500000,"low_price":148470000,"trade_price":148490000,
  "timestamp":1769244599123,"candle_acc_trade_price":100000000,
  "candle_acc_trade_volume":0.67340067,"unit":5}]"""

CHANCE = """{"bid_fee":"0.0005","ask_fee":"0.0005","maker_bid_fee":"0.0005",
 "maker_ask_fee":"0.0005","market":{"id":"KRW-BTC","name":"BTC/KRW","order_types":["limit"],"order_sides":["ask","bid"],
  "bid_types":["best_fok","best_ioc","limit","limit_fok","limit_ioc","price"],
  "ask_types":["best_fok","best_ioc","limit","limit_fok","limit_ioc","market"],
  "bid":{"currency":"KRW","min_total":"5000"},"ask":{"currency":"BTC","min_total":"5000"},
  "max_total":"1000000000","state":"active"},
 "bid_account":{"currency":"KRW","balance":"1000000.0","locked":"0.0","avg_buy_price":"0",
  "avg_buy_price_modified":false,"unit_currency":"KRW"},
 "ask_account":{"currency":"BTC","balance":"10.0","locked":"0.0","avg_buy_price":"8042000",
  "avg_buy_price_modified":false,"unit_currency":"KRW"}}"""

INSTRUMENTS = """[{"market":"KRW-BTC","quote_currency":"KRW","tick_size":"1000",
 "supported_levels":["0","10000","100000","1000000","10000000","100000000"]}]"""

ACCOUNTS = """[
 {"currency":"KRW","balance":"1000000.0","locked":"8004.0","avg_buy_price":"0",
  "avg_buy_price_modified":false,"unit_currency":"KRW"},
 {"currency":"BTC","balance":"2.00000001","locked":"0.0","avg_buy_price":"101000",
  "avg_buy_price_modified":false,"unit_currency":"KRW"},
 {"currency":"APENFT","balance":"4124.68518701","locked":"0","avg_buy_price":"0",
  "avg_buy_price_modified":true,"unit_currency":"KRW"}]"""

BID_PLACED = """{"uuid":"cdd92199-2897-4e14-9448-f923320408ad","side":"bid","ord_type":"price",
 "price":"10000","state":"wait","market":"KRW-BTC","created_at":"2026-01-24T18:00:00+09:00",
 "volume":null,"remaining_volume":null,"reserved_fee":"5","remaining_fee":"5","paid_fee":"0",
 "locked":"10005","executed_volume":"0","trades_count":0,"prevented_volume":"0",
 "prevented_locked":"0","smp_type":"cancel_maker","identifier":"uat-1"}"""

BID_CANCELLED_WITH_FILLS = """{"uuid":"cdd92199-2897-4e14-9448-f923320408ad","side":"bid",
 "ord_type":"price","price":"10000","state":"cancel","market":"KRW-BTC",
 "created_at":"2026-01-24T18:00:00+09:00","volume":null,"remaining_volume":null,
 "reserved_fee":"5","remaining_fee":"0.00000005","paid_fee":"4.99999995","locked":"0.0001",
 "executed_volume":"0.00006733","trades_count":2,"prevented_volume":"0","prevented_locked":"0",
 "identifier":"uat-1","trades":[
  {"market":"KRW-BTC","uuid":"trade-2","price":"148500000","volume":"0.00003366",
   "funds":"4998.51","trend":"up","created_at":"2026-01-24T18:00:00.452001+09:00","side":"bid"},
  {"market":"KRW-BTC","uuid":"trade-1","price":"148490000","volume":"0.00003367",
   "funds":"4999.6583","trend":"up","created_at":"2026-01-24T18:00:00.451999+09:00","side":"bid"}]}"""

ASK_DONE = """{"uuid":"a4b1e6a0-1e1c-4d5c-9c1f-000000000001","side":"ask","ord_type":"market",
 "price":null,"state":"done","market":"KRW-XRP","created_at":"2026-01-24T18:00:00+09:00",
 "volume":"5.377594","remaining_volume":"0","reserved_fee":"0","remaining_fee":"0",
 "paid_fee":"3.697095875","locked":"0","executed_volume":"5.377594","trades_count":1,
 "prevented_volume":"0","prevented_locked":"0","identifier":"uat-2","executed_funds":"7394.19175",
 "trades":[{"market":"KRW-XRP","uuid":"trade-3","price":"1375","volume":"5.377594",
  "funds":"7394.19175","trend":"down","created_at":"2026-01-24T18:00:01+09:00","side":"ask"}]}"""
