import { App } from './app'
import { show } from './providers'

show(<App />)
